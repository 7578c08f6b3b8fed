// Reload when the demo has changed. Without scripts the page works, too: its buttons come back to it.
const shown = document.body.querySelector("[data-revision]").dataset.revision;
async function look() {
  try {
    const answer = await fetch("/demo/state", { cache: "no-store" });
    if (String((await answer.json()).revision) !== shown) {
      location.reload();
      return;
    }
  } catch {
    // The demo has ended, or is busy: look again.
  }
  setTimeout(look, 700);
}
setTimeout(look, 700);

// Reload when the demo has changed. Without scripts the page works, too: its buttons come back to it.
const shown = document.body.querySelector("[data-version]").dataset.version;
let leaving = false; // a reload now would take the place of the button or the link that was pressed
addEventListener("beforeunload", () => { leaving = true; });
// What was opened stays open, whatever the page is loaded for.
const panel = document.querySelector("details.break");
panel.open = sessionStorage.getItem("break") === "open";
panel.addEventListener("toggle", () => sessionStorage.setItem("break", panel.open ? "open" : ""));
async function look() {
  try {
    const answer = await fetch("/demo/state", { cache: "no-store" });
    const { version } = await answer.json();
    if (leaving) return;
    if (version !== shown) {
      location.reload();
      return;
    }
  } catch {
    // The demo has ended, or is busy: look again.
  }
  setTimeout(look, 700);
}
setTimeout(look, 700);

"""HTTP in. ``publish`` is the role of who posts events, ``staff`` of who reads patients and works off the worklist."""

PUBLISH = "publish"
STAFF = "staff"

"""HTTP in. ``staff`` is the role of who sees patients' mail, ``operator`` of who runs the installation."""

STAFF = "staff"
OPERATOR = "operator"

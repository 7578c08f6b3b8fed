"""A mailbox for people and for the demo: real SMTP on loopback in, web pages and a JSON API out."""

from standalone.mailbox.mailbox import Mailbox
from standalone.mailbox.message import Message
from standalone.mailbox.routes import router

__all__ = ["Mailbox", "Message", "router"]

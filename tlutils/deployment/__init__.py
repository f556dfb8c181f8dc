"""A trained network for other people: the model, what it is worth, and how to ask it."""

from tlutils.deployment.assembly import ask, assemble
from tlutils.deployment.bundle import model_card, prepare, report_page, write
from tlutils.deployment.program import NoModel, load, predict, run

__all__ = ["NoModel", "ask", "assemble", "load", "model_card", "predict", "prepare", "report_page", "run", "write"]

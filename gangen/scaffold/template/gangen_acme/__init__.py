"""A network, a game and a recipe for gangen. Listing plugins imports this file alone, and no torch."""

from pathlib import Path

from gangen import hookimpl


@hookimpl
def gangen_generators(register):
    register("warp", ".networks:Warp", summary="noise, moved by a few residual layers")


@hookimpl
def gangen_objectives(register):
    register("matching", ".games:Matching", summary="the game of two, and the means of fakes and real rows match")


@hookimpl
def gangen_recipes():
    return [Path(__file__).parent / "recipes"]

"""Coding agents that archgw can launch: one file each, and this table."""

from archgw.agents import claude
from archgw.agents.agent import Agent

AGENTS: dict[str, Agent] = {"claude": claude.AGENT}

"""Coding agents that archgw can launch: one file each, and this table."""

from archgw.agents import aider, claude, codex, env, opencode
from archgw.agents.agent import Agent

AGENTS: dict[str, Agent] = {
    agent.name: agent for agent in (claude.AGENT, codex.AGENT, opencode.AGENT, aider.AGENT, env.AGENT)
}

"""The agent desk: one page with an agent's calls and chats, the whole story of each, and what supervisors see."""

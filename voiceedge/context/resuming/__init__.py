"""Conversations that go on over another channel: tokens, PINs and numbers that are lent."""

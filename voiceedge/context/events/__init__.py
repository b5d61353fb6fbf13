"""The events of conversations: what each says, their envelopes, and their description for subscribers."""

"""What was said in SIP about a call, asked of the workers and drawn."""

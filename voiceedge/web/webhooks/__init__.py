"""Events sent to other systems by HTTP."""

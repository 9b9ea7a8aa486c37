"""The functions on this machine: one address, a process a function, started when asked and stopped when idle."""

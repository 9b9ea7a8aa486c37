"""How far it scales: a day's requests against a model of the platform, which is held against the emulator."""

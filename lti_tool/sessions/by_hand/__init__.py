"""Presence by hand: what people say of a day beside its evidence. Who somebody was, what is to be added or taken away,
what was looked at, and what a trainee asks to be looked at."""

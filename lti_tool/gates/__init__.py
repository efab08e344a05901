"""Who may open what: rules and their evaluation, the facts they need, and the records of staff decisions."""

"""Who may open what: rules and their evaluation (pure), the facts they rest on, and the records of staff decisions."""

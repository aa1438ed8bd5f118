"""Challenges: folders of teams' predictions, scored, ranked, tabulated and drawn."""

"""Release rules over records, with three-state verdicts."""

"""What every dialect needs: checking a stranger's JSON, turns, fitting a target, errors."""

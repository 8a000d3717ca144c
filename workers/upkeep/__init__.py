"""Work beside the turns: the sweep, retention, webhooks."""

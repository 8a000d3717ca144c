"""What is done beside the turns: the sweep, retention, webhooks."""

"""Where messages go: webhooks, Alertmanager, and what apprise knows."""

"""Extension servers: what they are asked (plan, judge, translation: pure), and who asks them (asker, client, kept)."""

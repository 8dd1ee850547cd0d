"""Known attacks on runtimes, each tried against a real container, and each with its guard taken out to show what
stops it."""

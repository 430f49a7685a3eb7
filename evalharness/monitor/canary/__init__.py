"""What a monitor asks of production itself: the suite as a canary, a slice of it after drift, anchors of its judges."""

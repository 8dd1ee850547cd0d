"""The C half: launcher, path layer, front and waiter. Must hold no Python but what builds them and binds them."""

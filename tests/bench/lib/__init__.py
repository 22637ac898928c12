"""What tests/bench/run and tests/bench/profile are made of."""

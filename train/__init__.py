"""Training of binarized point-cloud networks: definitions, losses, data, export."""

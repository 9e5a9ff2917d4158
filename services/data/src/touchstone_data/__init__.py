"""From raw records to data that can be trained on: sharded, resumable, with a reason for all that is left out."""

"""What a training recipe needs, worked out before it runs: tokens, memory, disk, hours. Nothing here is measured."""

"""The rooms that touch disk, hub and network: images, processors, the judge, the journal."""

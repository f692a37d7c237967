"""What energy and water cost: tariff files, their bands and versions, and the timeline that readings are priced on. Pure."""

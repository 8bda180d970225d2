"""Each module measures one thing: `measure() -> {name: number}`, beside its `TARGETS`."""

"""The monitors that are read for every closed window: one file per watched quantity.

What always holds: a monitor sees a merged profile and the champion's reference, never rows, so its
cost does not depend on their number; its values are effect sizes and shares, not p-values; it
decides nothing and knows none of its siblings.

`kinds.MONITORS` lists them. Services read them and keep the readings; triggers judge those.
"""

"""The controller: feedback log, monitors, triggers, runs, training, judging, rollouts.

What always holds:

- a batch that was acknowledged is in the log exactly once, whoever dies;
- a firing, its run and its job are written together or not at all, once per (policy, moment);
- the effect of a job is committed only under a lease that is still held;
- a challenger becomes champion only by an accepted decision, or by a person's hand;
- data of an outage trains nothing, judges nothing and fires nothing.

Who may call whom: `scheduler | api | web → services → feedback | monitors | triggers | trainers |
gates | rollouts | executors → store → domain`, and everything may call the registry's services.
"""

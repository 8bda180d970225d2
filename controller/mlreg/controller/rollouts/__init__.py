"""How an accepted challenger reaches traffic.

One plugin a file. Today a rollout is immediate: the challenger becomes champion in the transaction
that records its accepted decision. Shadow and canary steps are declared in the policy language and
refused as not yet supported, so that no policy promises what is not done.
"""

"""The controller's rules: policy, profiles, drift, windows, lanes, metrics, judging, sequences.

Pure: values in, values out; time and randomness are arguments. That is what lets a year of flights
replay in minutes, and what lets properties be tested. Everyone may call it; it calls no one.
"""

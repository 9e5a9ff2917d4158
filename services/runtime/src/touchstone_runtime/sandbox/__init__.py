"""Code that a model wrote, run where it can do no harm and cannot judge itself. Standard library only.

A trial is two confined processes. One holds the program and runs what is called; the other holds the tests, calls the
program as if it were there, and says what came of it. So the program never sees the tests, and its answers are values:
whatever it prints, patches or exits with, it cannot say that it passed.
"""

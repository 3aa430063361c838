"""The sections of the pages: each module computes, and the template of the same name beside it says what was computed.

A module has `of_model` or `of_models`, or both where the same is asked of one model and of many; `of_any` is both.
"""

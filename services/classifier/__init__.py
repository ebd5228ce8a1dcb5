"""Classifier: scores every post, and says when the scores of a subject have turned into a backlash."""

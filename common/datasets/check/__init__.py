"""What is wrong with a data set's files, found in all cases at once."""

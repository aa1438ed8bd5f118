"""What the readers of public data sets are made of: preparing, lists of pictures, volumes, annotations."""

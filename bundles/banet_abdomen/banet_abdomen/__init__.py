"""BA-Net for fifteen abdominal organs in CT and MR: a segmentation guided by boundaries, in an ensemble."""

"""Parts of deformable registration: warps, similarity, smoothness, Jacobians, fields in millimetres.

A displacement phi (B, d, *S) is in voxels, its channels in the order of the array's axes; the warped image
is I(x + phi(x)).
"""

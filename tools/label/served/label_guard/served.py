"""MONAI Label's app behind the guard; what ``tools.label`` tells uvicorn to serve."""

import os
from importlib import import_module

from monailabel.config import settings

from label_guard.guard import Guard, own_origins

# Not from the environment: MONAI Label 0.8.5 cannot log origins that it reads there, and ends.
settings.MONAI_LABEL_CORS_ORIGINS = own_origins(settings.MONAI_LABEL_SERVER_PORT)

app = Guard(
    import_module("monailabel.app").app,  # which reads the setting
    port=settings.MONAI_LABEL_SERVER_PORT,
    token=os.environ.pop("LABEL_TOKEN"),
)

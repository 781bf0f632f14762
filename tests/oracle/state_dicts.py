"""Names and shapes of torchvision's state dicts, a line a tensor: what src/weights calls its layers is tested by them.

    python tests/oracle/state_dicts.py tests/fixtures/state_dicts
"""

import sys
from pathlib import Path

from torchvision.models.detection import (
    MaskRCNN,
    fasterrcnn_mobilenet_v3_large_fpn,
    maskrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn_v2,
)
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

folder = Path(sys.argv[1])
resnet18 = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
models = {
    "maskrcnn_resnet50_fpn": maskrcnn_resnet50_fpn(weights=None, weights_backbone=None),
    "maskrcnn_resnet50_fpn_v2": maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None),
    "maskrcnn_resnet18_fpn": MaskRCNN(resnet18, num_classes=2),
    "fasterrcnn_mobilenet_v3_large_fpn": fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None),
}
for name, model in models.items():
    tensors = model.state_dict().items()
    # A norm that is not frozen counts its batches, which means nothing outside of training.
    lines = [f"{key} {'x'.join(map(str, t.shape))}\n" for key, t in tensors if not key.endswith("num_batches_tracked")]
    (folder / f"{name}.txt").write_text("".join(lines))

"""Pictures with exact masks: drawn here, pasted from cut-outs, or read from COCO-format folders."""

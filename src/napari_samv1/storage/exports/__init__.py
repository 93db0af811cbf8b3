"""Objects for other programs: COCO, GeoJSON, tables, OME-Zarr."""

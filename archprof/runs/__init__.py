"""What runs a module with its weights on a real device, and measures it there. Nothing here is needed for static counts."""

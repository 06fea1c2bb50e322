"""What runs by itself: carrying changes out, and making attempts."""

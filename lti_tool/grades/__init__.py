"""What the LMS gradebook is told: line items, desired and delivered scores."""
